# What a host of guests in QEMU has: QEMU, and the small Linux guest of the demo. The agents' images
# can be built over it. The context is docker/qemu-guest.
ARG BASE_IMAGE=eclipse-temurin:25-jre
# Debian, for its small kernel.
ARG GUEST_IMAGE=debian:bookworm-slim

FROM ${GUEST_IMAGE} AS guest
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends gcc libc6-dev cpio
COPY build init.c guest.h /guest/
# The kernel is unpacked only: installing it would make an initramfs of its own.
RUN cd /guest && ./build initramfs \
  && kernel=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: *\(linux-image-.*\)/\1/p') \
  && cd /tmp && apt-get download -qq "$kernel" && dpkg-deb -x "$kernel"_*.deb unpacked \
  && install -m 644 unpacked/boot/vmlinuz-* /guest/kernel

FROM ${BASE_IMAGE}
RUN apt-get update -qq \
  && apt-get install -y -qq --no-install-recommends qemu-system-x86 \
  && rm -rf /var/lib/apt/lists /var/cache/apt
COPY --from=guest /guest/kernel /guest/initramfs /guest/
