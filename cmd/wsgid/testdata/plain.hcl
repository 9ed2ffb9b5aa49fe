listen "unix" {
  path = "/run/wsgid/wsgid.sock"
}

script_alias "/" {
  target = "/srv/site/site.wsgi"
}
