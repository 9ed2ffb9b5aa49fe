package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// migratedPort is the variable for the port of the converted configuration, which
// Apache is given when it starts.
const migratedPort = "MIGRATED_PORT"

// convertSite writes a configuration for mod_wsgi as its peer has it, and converts
// it: what somebody gets who leaves mod_wsgi. It returns that of wsgid.
func convertSite(s *site) (string, error) {
	peerConf := ""
	for _, p := range peers() {
		if p.name == migrated {
			peerConf = p.conf
		}
	}
	account, user := "", ""
	if s.user != "" {
		account, user = s.expand("User ${user}\nGroup ${user}"), "user="+s.user+" group="+s.user
	}
	conf := s.expand(httpdConf, "${name}", frontMigrated, "${port}", "${"+migratedPort+"}", "${modules}", wsgiModules, "${account}", account) +
		s.expand(modWSGIDaemon+peerConf, "${mod_wsgi_user}", user)
	in, err := s.write(frontMigrated+".conf", conf)
	if err != nil {
		return "", err
	}
	out, err := exec.Command(s.wsgid, "apache", "convert", "--in", in, "--out-dir", s.path(migrated), "--env", migratedPort+"=80",
		"--socket", s.socket(migrated)).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("convert the configuration of mod_wsgi: %w\n%s", err, out)
	}
	hcl, err := os.ReadFile(s.path(migrated) + "/wsgid.hcl")
	if err != nil {
		return "", fmt.Errorf("read what was converted: %w", err)
	}
	log := "\nlog {\n"
	quiet := strings.Replace(string(hcl), log, log+"  level = \"warn\"\n", 1) // it says where Apache logs
	return s.write(migrated+".hcl", quiet+s.expand(`
control {
  path = "${run}/${name}-control.sock"
}
`, "${name}", migrated))
}
