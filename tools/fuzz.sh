#!/usr/bin/env bash
# Runs every Go fuzz target for the given time each: fuzz.sh 60s. By default Go
# spends up to a minute, here all there is, on making one new input smaller.
set -euo pipefail
time=${1:-30s}
for package in $(go list ./...); do
  for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
    echo "fuzz: $package $target $time"
    go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 100x "$package"
  done
done
