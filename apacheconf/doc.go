// Package apacheconf reads the configuration of Apache HTTP Server 2.4 so that
// it can be written again byte for byte but for what is changed on purpose, and
// evaluates it as Apache does when it starts: conditional sections, included
// files, definitions and macros.
//
// It also writes what web servers need for a configuration of wsgid.
//
// It knows configurations, and nothing of how wsgid runs.
package apacheconf
