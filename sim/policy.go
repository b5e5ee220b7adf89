package sim

import (
	"time"

	"github.com/inproc/faas"
)

// Policy is what is simulated: a name for the report, and the options that each
// function is registered with. Options is called once for each function of each
// run; peak is how many of its calls there are at once at most, if none waits. Without
// Options a function has the router's defaults. Two of one name are refused: it
// is what [Report.OnFront] goes by.
type Policy struct {
	Name    string
	Options func(function string, peak int) []faas.FunctionOption
}

// Scaled is a policy that has all functions scaled by s, from no instance.
func Scaled(name string, s faas.Scaler) Policy {
	return Policy{Name: name, Options: func(string, int) []faas.FunctionOption { return []faas.FunctionOption{faas.WithScaler(s)} }}
}

// Fixed is a policy that knows the future: each function has as many instances as
// its peak needs, ready when it begins, and all the time.
func Fixed() Policy {
	return Policy{Name: "fixed", Options: func(_ string, peak int) []faas.FunctionOption {
		return []faas.FunctionOption{
			faas.WithScaler(faas.FixedScaler{N: peak}),
			faas.WithMinInstances(peak), faas.WithKeepAlive(longest),
		}
	}}
}

// Knative scales as Knative does, with its defaults: by a tick of two seconds, and
// between ticks only from zero.
func Knative() Policy { return Scaled("Knative", faas.ConcurrencyScaler{TickOnly: true}) }

// Lambda scales as AWS Lambda does; an instance is kept for ten minutes.
func Lambda() Policy {
	return Scaled("Lambda", faas.LambdaScaler{KeepAlive: 10 * time.Minute})
}

// Default is the default policy of faas.
func Default() Policy { return Scaled("faas", faas.ConcurrencyScaler{}) }

// Policies are these four.
func Policies() []Policy { return []Policy{Fixed(), Knative(), Lambda(), Default()} }
