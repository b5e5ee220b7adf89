package sim

import (
	"time"

	"github.com/inproc/faas"
)

// Policy is a scaling policy to simulate: a name for the report, and the options that
// each function is registered with. Options is called once for each function of each
// run; peak is the highest number of concurrent calls of the function if none has to
// wait. A nil Options stands for the router's defaults. [Run] refuses two policies of
// the same name, because [Report.OnFront] could not tell them apart.
type Policy struct {
	Name    string
	Options func(function string, peak int) []faas.FunctionOption
}

// Scaled returns a policy by which s scales every function, from zero instances.
func Scaled(name string, s faas.Scaler) Policy {
	return Policy{Name: name, Options: func(string, int) []faas.FunctionOption { return []faas.FunctionOption{faas.WithScaler(s)} }}
}

// Fixed returns a policy with perfect foresight: each function has as many instances as its
// peak needs, from beginning to end.
func Fixed() Policy {
	return Policy{Name: "fixed", Options: func(_ string, peak int) []faas.FunctionOption {
		return []faas.FunctionOption{
			faas.WithScaler(faas.FixedScaler{N: peak}),
			faas.WithMinInstances(peak), faas.WithKeepAlive(longest),
		}
	}}
}

// Knative returns a policy that scales as Knative does by default: on a tick every two
// seconds, and between ticks only from zero.
func Knative() Policy { return Scaled("Knative", faas.ConcurrencyScaler{TickOnly: true}) }

// Lambda returns a policy that scales as AWS Lambda does, and keeps an idle instance
// for ten minutes.
func Lambda() Policy {
	return Scaled("Lambda", faas.LambdaScaler{KeepAlive: 10 * time.Minute})
}

// Default returns the default policy of faas.
func Default() Policy { return Scaled("faas", faas.ConcurrencyScaler{}) }

// Policies returns Fixed, Knative, Lambda and Default.
func Policies() []Policy { return []Policy{Fixed(), Knative(), Lambda(), Default()} }
