package io.pageferry.protocol.page;

import static org.assertj.core.api.Assertions.assertThat;

import com.github.luben.zstd.Zstd;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(60)
class PageCompressorTest {
  @ParameterizedTest
  @ValueSource(longs = {1, 4096, 65536, (128 << 10) - 1, 128 << 10, 262_144, 1 << 20})
  void theMostThatZstdMakesOfAPieceIsWhatItsLibrarySays(long bytes) {
    assertThat(PageCompressor.zstdBound(bytes)).isEqualTo(Zstd.compressBound(bytes));
  }
}
