# The source agent. The context is what docker/build lays out: the launcher, VERSION and lib/.
ARG BASE_IMAGE=eclipse-temurin:25-jre
FROM ${BASE_IMAGE}

COPY pageferry VERSION /opt/pageferry/
COPY lib/ /opt/pageferry/lib/

# Its classes ready-made, or those of a switchover are loaded while the guest stands still. The order
# of the jars is the launcher's.
RUN cd /opt/pageferry/lib && if [ -e classes.list ]; then \
  java -Xshare:dump -XX:SharedClassListFile=classes.list -XX:SharedArchiveFile=classes.jsa \
    -XX:+UseSerialGC --enable-native-access=ALL-UNNAMED \
    -cp "$(ls -1 /opt/pageferry/lib/*.jar | paste -s -d :)" >/dev/null 2>&1 || rm -f classes.jsa; fi

# Numbers, not names: the base image need not have tools that add users.
RUN mkdir -p /var/lib/pageferry && chown 10001:10001 /var/lib/pageferry && chmod 700 /var/lib/pageferry
USER 10001:10001
# Ledgers must outlive the container, or a recovery has nothing to go by.
ENV PAGEFERRY_STATE=/var/lib/pageferry
VOLUME /var/lib/pageferry

ENTRYPOINT ["/opt/pageferry/pageferry", "source"]
CMD ["--help"]
