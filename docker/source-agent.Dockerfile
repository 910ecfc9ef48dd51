# The source agent. The context is what docker/build lays out: the launcher, VERSION and lib/.
ARG BASE_IMAGE=eclipse-temurin:25-jre
FROM ${BASE_IMAGE}

COPY pageferry VERSION /opt/pageferry/
COPY lib/ /opt/pageferry/lib/

# Numbers, not names: the base image need not have tools that add users.
RUN mkdir -p /var/lib/pageferry && chown 10001:10001 /var/lib/pageferry && chmod 700 /var/lib/pageferry
USER 10001:10001
# Ledgers must outlive the container, or a recovery has nothing to go by.
ENV PAGEFERRY_STATE=/var/lib/pageferry
VOLUME /var/lib/pageferry

ENTRYPOINT ["/opt/pageferry/pageferry", "source"]
CMD ["--help"]
