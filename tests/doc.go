// Package tests holds the end-to-end tests: the real wsgid binary behind the
// real Apache (and nginx, lighttpd and Caddy), with the small applications of
// tests/apps and with Django and Flask. Each test builds a world of its own
// with internal/harness and asserts at its end that no process, socket, file
// or descriptor is left.
//
// It must not know the inside of wsgid: only configuration, command line,
// protocols, logs and /proc. Files with the build tag full hold what only
// `make test-full` runs; -short reduces loop counts and leaves nothing out.
package tests
