# Two groups that are shut in: docs/sandbox.md.

listen "unix" {
  path = "/run/wsgid/wsgid.sock"
}

# May write in /var/lib/web and nowhere else, and has a /tmp of its own.
daemon_process "web" {
  user               = "web"
  private_tmp        = true
  read_only_paths    = ["/"]
  read_write_paths   = ["/var/lib/web", "/dev/shm"]
  inaccessible_paths = ["/home", "/root"]
  oom_score_adjust   = 200
}

# May open nothing but what is listed; this works without root, too.
daemon_process "uploads" {
  user = "uploads"
  landlock {
    read  = ["/usr", "/lib", "-/lib64", "/etc", "/proc", "/srv/uploads"]
    write = ["/var/lib/uploads", "/tmp"]
  }
}

script_alias "/uploads" {
  target        = "/srv/uploads/uploads.wsgi"
  process_group = "uploads"
}

script_alias "/" {
  target        = "/srv/web/web.wsgi"
  process_group = "web"
}
