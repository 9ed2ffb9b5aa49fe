# Three groups of Python processes behind one socket, each as its own user.
# Check it with: wsgid check --config wsgid.hcl

listen "unix" {
  path = "/run/wsgid/wsgid.sock"
}

daemon_process "admin" {
  processes = 2
  threads   = 15
  user      = "wsgid-admin"
}

daemon_process "api" {
  processes = 4
  threads   = 15
  user      = "wsgid-api"
}

daemon_process "web" {
  processes = 4
  threads   = 15
  user      = "wsgid-web"
}

# Decides for each request which of the groups above serves it.
dispatch_script "/etc/wsgid/dispatch.py" {}

script_alias "/" {
  target        = "/srv/site/site.wsgi"
  process_group = "web"
}
