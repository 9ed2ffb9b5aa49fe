// Package apachetest is for tests only: it gives configurations of Apache that
// tests have a place of their own, with all that they name in it, and asks a real
// Apache with mod_wsgi whether it would start with them.
package apachetest
