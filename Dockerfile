# syntax=docker/dockerfile:1

# The operator's image: the binary on a distroless base. No shell, no package manager, not root, nothing to write.

FROM rust:1.95-bookworm AS build
# aws-lc builds its assembly with cmake.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends cmake \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src

# Dependencies first, from the manifests alone and with empty crates in place of ours: this layer is built again only
# when a manifest or Cargo.lock changes. Cargo wants the manifest of every member of the workspace.
COPY Cargo.toml Cargo.lock ./
COPY simulator/Cargo.toml simulator/
COPY control-plane/Cargo.toml control-plane/
COPY demo/Cargo.toml demo/
RUN for crate in . simulator control-plane demo; do \
        mkdir -p "$crate/src" \
        && echo 'fn main() {}' > "$crate/src/main.rs" \
        && touch "$crate/src/lib.rs" \
        || exit 1; \
    done \
    && cargo build --locked --release --package aml-operator --bin aml-operator

COPY src src
# Cargo goes by time stamps, and a checkout's may be older than the empty crates'.
RUN find src -name '*.rs' -exec touch {} + \
    && cargo build --locked --release --package aml-operator --bin aml-operator

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/aml-operator /usr/local/bin/aml-operator
COPY LICENSE /usr/share/doc/aml-operator/LICENSE
# By number, so that Kubernetes can tell that it is not root (runAsNonRoot).
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/aml-operator"]
CMD ["run"]
