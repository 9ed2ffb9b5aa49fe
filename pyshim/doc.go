// Package pyshim is the bridge to CPython: it finds and loads libpython at run
// time, makes interpreters, serves WSGI requests in C, and evaluates dispatch
// scripts inside the router. No Python headers are needed to build it.
//
// It must not know routing, configuration or life cycle: which process runs
// what is decided elsewhere and arrives in the boot block
// (docs/internals.md section 1) and in the parameters of a request (section 5).
package pyshim
