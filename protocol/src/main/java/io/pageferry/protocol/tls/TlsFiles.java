package io.pageferry.protocol.tls;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * Where one agent's credentials are, all PEM.
 *
 * @param certificateChain this agent's certificate
 * @param privateKey its key, PKCS #8, not encrypted, readable by its owner only
 * @param authority the certificate of the one authority whose agents are trusted
 * @param revocationList that authority's revocation list, read again whenever the file changes;
 *     null: nothing counts as revoked
 */
public record TlsFiles(
    Path certificateChain, Path privateKey, Path authority, @Nullable Path revocationList) {}
