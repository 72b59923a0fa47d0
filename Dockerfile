# docker build -t sobot-hook .
#
# The image runs the service alone and needs DATABASE_URL: it has no PostgreSQL server. It listens on every interface of
# its container and therefore also needs a secret (SOBOT_HOOK__WEBHOOK__SECRETS): without one only loopback is
# allowed, and the service refuses to start (exit code 64). compose.yaml is the worked example.

FROM rust:1.95-slim-bookworm AS builder
WORKDIR /src

# The dependencies are compiled against empty crates first, so that this layer lasts until they change.
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY crates/private-postgres/Cargo.toml crates/private-postgres/
RUN mkdir -p src benches/contest crates/private-postgres/src \
    && touch src/lib.rs benches/contest/main.rs crates/private-postgres/src/lib.rs \
    && echo 'fn main() {}' > src/main.rs \
    && cargo build --release --locked \
    && rm -r src benches crates

# Copied files keep their times, which may lie before that build; cargo would then take the empty crates for current.
COPY . .
RUN touch src/lib.rs src/main.rs crates/private-postgres/src/lib.rs \
    && cargo build --release --locked

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 sobot-hook \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/sobot-hook \
        --shell /usr/sbin/nologin sobot-hook \
    && install -d -m 0700 -o 10001 -g 10001 /var/lib/sobot-hook
COPY --from=builder /src/target/release/sobot-hook /usr/local/bin/sobot-hook
COPY LICENSE /usr/share/doc/sobot-hook/LICENSE

ENV SOBOT_HOOK__HTTP__LISTEN=0.0.0.0:8080 \
    SOBOT_HOOK__ADMIN__LISTEN=0.0.0.0:9090 \
    SOBOT_HOOK__STORAGE__DATA_DIR=/var/lib/sobot-hook
# By number, so that an orchestrator can see that it is not root.
USER 10001:10001
WORKDIR /var/lib/sobot-hook
# The spool lies here: what was acknowledged while PostgreSQL was away. It must outlive the container.
VOLUME /var/lib/sobot-hook
EXPOSE 8080 9090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["sobot-hook", "healthcheck"]
ENTRYPOINT ["sobot-hook"]
CMD ["serve"]
