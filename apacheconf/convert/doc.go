// Package convert turns a configuration of Apache with mod_wsgi into one with
// mod_proxy_fcgi and a configuration of wsgid, which together serve the site as it
// was served.
//
// What is not mod_wsgi's stays byte for byte. WSGIScriptAlias becomes Alias and
// SetHandler, so that Apache maps, protects and rewrites as before; what requests
// need of their context goes to wsgid as variables (docs/configuration.md, settings
// by the web server), and the rest into its own configuration. Whatever has no
// equivalent is said.
//
// It knows configurations, and nothing of running servers.
package convert
