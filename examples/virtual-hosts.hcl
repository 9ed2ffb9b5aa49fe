# Several sites behind a web server that passes everything on, as nginx and Caddy do.
# Check it with: wsgid check --config virtual-hosts.hcl
# and see what is served where with: wsgid routes --config virtual-hosts.hcl

listen "unix" {
  path = "/run/wsgid/wsgid.sock"
}

daemon_process "shop" {
  user = "wsgid-shop"
}

daemon_process "sites" {
  user = "wsgid-sites"
}

virtual_host "www.example.com" {
  server_alias     = ["example.com"]
  max_body_bytes   = "10MiB"
  restrict_process = ["shop", "sites"]

  script_alias "/" {
    target        = "/srv/shop/shop.wsgi"
    process_group = "shop"
  }
}

# One small site for each name below example.org and each first part of the URL:
# /srv/sites/NAME.wsgi, never anything outside of /srv/sites.
virtual_host "example.org" {
  server_alias = ["*.example.org"]

  script_alias_match "^/([a-z0-9-]+)" {
    target            = "/srv/sites/$1.wsgi"
    process_group     = "sites"
    application_group = "%{RESOURCE}"
  }
}

# For every other name, and for what no mount of a host takes.
script_alias "/health" {
  target            = "/srv/health/health.wsgi"
  process_group     = "sites"
  application_group = "health"
}
