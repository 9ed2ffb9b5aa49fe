package supervisor

import (
	"strconv"
	"strings"

	"github.com/wsgid/wsgid/config"
)

// hashSeedVariable has no option of the interpreter that would do the same.
const hashSeedVariable = "PYTHONHASHSEED"

// pythonArguments are the options of a worker's interpreter, as on a command line.
func pythonArguments(p *config.PythonOptions) []string {
	var arguments []string
	if p.PythonOptimize > 0 {
		arguments = append(arguments, "-"+strings.Repeat("O", p.PythonOptimize))
	}
	if p.PythonDontWriteBytecode {
		arguments = append(arguments, "-B")
	}
	for _, warning := range p.PythonWarnings {
		arguments = append(arguments, "-W", warning)
	}
	return arguments
}

// pythonVariables are environment variables for the time while Python is
// initialised.
func pythonVariables(p *config.PythonOptions) []string {
	if p.PythonHashSeed == "" {
		return nil
	}
	return []string{hashSeedVariable + "=" + p.PythonHashSeed}
}

// embeddedVariables say by variables what pythonArguments says: the Python of
// the router is initialised without a command line.
func embeddedVariables(p *config.PythonOptions) []string {
	variables := pythonVariables(p)
	if p.PythonOptimize > 0 {
		variables = append(variables, "PYTHONOPTIMIZE="+strconv.Itoa(p.PythonOptimize))
	}
	if p.PythonDontWriteBytecode {
		variables = append(variables, "PYTHONDONTWRITEBYTECODE=1")
	}
	if len(p.PythonWarnings) > 0 {
		variables = append(variables, "PYTHONWARNINGS="+strings.Join(p.PythonWarnings, ","))
	}
	return variables
}

// setEggs adds the variable of python_eggs.
func (e environment) setEggs(eggs string) {
	if eggs != "" {
		e["PYTHON_EGG_CACHE"] = eggs
	}
}
