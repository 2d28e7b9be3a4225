# syntax=docker/dockerfile:1

# The operator's image: the binary on a distroless base. No shell, no package manager, not root, nothing to write.

FROM rust:1.95-bookworm AS build
# aws-lc, the cryptography under rustls, may be built with cmake.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends cmake \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# What was downloaded and built stays in the builder's caches, so that a change here compiles our own code only. The
# caches are no part of any layer; hence the copy.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release --package aml-operator --bin aml-operator \
    && cp target/release/aml-operator /aml-operator

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /aml-operator /usr/local/bin/aml-operator
COPY LICENSE /usr/share/doc/aml-operator/LICENSE
# By number, so that Kubernetes can tell that it is not root (runAsNonRoot).
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/aml-operator"]
CMD ["run"]
