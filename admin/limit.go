package admin

import (
	"math"
	"strconv"

	"github.com/inproc/faas/access"
)

// LimitChange is the body of PUT /v1/functions/{name}/limit.
type LimitChange struct {
	// Limit is how many calls of the function may run at once. 0 switches the function off: its
	// calls are refused until the limit is changed again. Null: only the router's capacity
	// limits them.
	Limit *Int `json:"limit"`
}

// CapacityChange is the body of PUT /v1/capacity.
type CapacityChange struct {
	Capacity Int `json:"capacity"` // how many calls may run at once in the whole router, at least 1
}

// Limit is the answer to both requests.
type Limit struct {
	Function string `json:"function,omitempty"` // empty: this is the router's capacity
	Limit    *Int   `json:"limit"`
}

func (x *exchange) setLimit() (any, error) {
	name := x.r.PathValue("name")
	if err := x.need(Action{Right: access.Manage, Function: name, AllTenants: true}); err != nil {
		return nil, err
	}
	c := LimitChange{Limit: new(Int(-1))} // a value that is not valid, to detect a body without limit
	if err := x.body(&c, maxOrder); err != nil {
		return nil, err
	}
	n, err := c.limit()
	if err != nil {
		return nil, err
	}
	x.entry.Detail = "limit " + strconv.Itoa(n)
	if err := x.h.router.SetConcurrency(name, n); err != nil {
		return nil, err
	}
	info, err := x.h.router.Info(name)
	if err != nil {
		return nil, err
	}
	return Limit{Function: name, Limit: shownLimit(info.Concurrency)}, nil
}

func (c *LimitChange) limit() (int, error) {
	switch {
	case c.Limit == nil:
		return math.MaxInt32, nil
	case *c.Limit < 0 || *c.Limit > math.MaxInt32:
		return 0, badInput("A limit is null, for none, or between 0, which is off, and 2147483647.")
	}
	return int(*c.Limit), nil
}

func (x *exchange) setCapacity() (any, error) {
	if err := x.need(Action{Right: access.Manage, AllTenants: true}); err != nil {
		return nil, err
	}
	var c CapacityChange
	if err := x.body(&c, maxOrder); err != nil {
		return nil, err
	}
	if c.Capacity < 1 || c.Capacity > math.MaxInt32 {
		return nil, badInput("A capacity is between 1 and 2147483647.")
	}
	x.entry.Detail = "capacity " + strconv.Itoa(int(c.Capacity))
	if err := x.h.router.SetCapacity(int(c.Capacity)); err != nil {
		return nil, err
	}
	return Limit{Limit: new(Int(x.h.router.Stats().Capacity))}, nil
}
