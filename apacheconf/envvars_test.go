package apacheconf

import (
	"maps"
	"testing"
)

// TestReadEnvvars: what Debian's file sets, and what a shell alone understands.
func TestReadEnvvars(t *testing.T) {
	got := ReadEnvvars(`# envvars
unset HOME
if [ "${APACHE_CONFDIR##/etc/apache2-}" != "${APACHE_CONFDIR}" ] ; then
	SUFFIX="-${APACHE_CONFDIR##/etc/apache2-}"
else
	SUFFIX=
fi
export APACHE_RUN_USER=www-data
export APACHE_LOG_DIR=/var/log/apache2$SUFFIX
export LANG="C.UTF-8"
export BOTH='a b'
export COMPUTED=` + "`hostname`" + `
export ALSO=$(hostname)
export LANG
NOT exported=1
#export APACHE_ARGUMENTS=''
export PID=${APACHE_RUN_USER}/x
`)
	want := map[string]string{"SUFFIX": "", "APACHE_RUN_USER": "www-data", "APACHE_LOG_DIR": "/var/log/apache2", "LANG": "C.UTF-8", "BOTH": "a b", "PID": "www-data/x"}
	if !maps.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
