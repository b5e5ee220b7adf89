package cost

import (
	"errors"
	"fmt"
	"strings"

	"github.com/inproc/faas"
)

// property is a dimension in a form in which its value can be read quickly from a call.
type property struct {
	dimension Dimension
	label     string // the label's name, if the dimension is a label
}

// condition is one entry of Budget.Where.
type condition struct {
	property
	value string
}

// conditions returns the conditions of one entry of Where. For a function, "name" means all
// versions of it, and "name:2" one version.
func conditions(of property, value string) []condition {
	name, version, ok := strings.Cut(value, ":")
	if of.dimension != Function || !ok {
		return []condition{{of, value}}
	}
	return []condition{{of, name}, {property{dimension: Version}, version}}
}

// newProperty returns the property of a dimension. It returns an error for a dimension that a
// call does not have yet when it is admitted.
func newProperty(d Dimension) (property, error) {
	switch d {
	case "", Function, Version, Tenant:
		return property{dimension: d}, nil
	case Outcome:
		return property{}, errors.New("a call has no outcome yet when a budget is asked; take another dimension")
	}
	label, ok := strings.CutPrefix(string(d), labelPrefix)
	if !ok {
		return property{}, fmt.Errorf("there is no dimension %q; say cost.Function, cost.Version, cost.Tenant or cost.Label(…)", d)
	}
	return property{d, label}, nil
}

// of returns the call's value in the property's dimension; it is empty for the empty dimension.
func (p property) of(inv *faas.Invocation) string {
	switch p.dimension {
	case "":
		return ""
	case Function:
		return inv.Function
	case Version:
		return inv.Version
	case Tenant:
		return inv.Tenant
	default:
		return inv.Labels[p.label]
	}
}
