// Package apacheconf reads the configuration of Apache HTTP Server 2.4 so that
// it can be written again byte for byte but for what is changed on purpose, and
// evaluates it as Apache does when it starts: conditional sections, included
// files, definitions and macros.
//
// It knows the syntax and mod_wsgi's directives, and nothing of how wsgid runs.
package apacheconf
