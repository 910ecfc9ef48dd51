package io.pageferry.guest.handover;

/**
 * A piece of guest memory as the guest's process has mapped it; all numbers in bytes.
 *
 * @param baseHostVirtAddr where it begins in the guest process's address space, a multiple of
 *     {@code pageSize}
 * @param size a positive multiple of {@code pageSize}
 * @param offset where it begins in the guest's memory, all regions of its image counted one after
 *     the other as if they were one file
 * @param pageSize 4096, or the size of the huge pages behind it
 */
public record MappedRegion(long baseHostVirtAddr, long size, long offset, int pageSize) {}
