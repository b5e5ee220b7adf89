package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/inproc/faas/bench/measure"
	"github.com/inproc/faas/bench/peers"
)

// heldCase is one measurement of memory.
type heldCase struct {
	kind heldKind
	peer string
	n    int
}

type heldKind string

const (
	waiting heldKind = "waiting" // calls that wait in their handlers
	heeding heldKind = "heeding" // calls that wait in their handlers and for their contexts
	idle    heldKind = "idle"    // registered functions that are not called
)

const idleFunctions = 10_000

func heldCases(n int) []heldCase {
	return []heldCase{
		{waiting, peers.GoTimeout, n},
		{waiting, peers.FaasTyped, n},
		{heeding, peers.GoTimeout, n},
		{heeding, peers.FaasTyped, n},
		{idle, peers.FaasTyped, idleFunctions},
	}
}

// String returns the case as the argument of the child; parseHeldCase reads it.
func (c heldCase) String() string { return fmt.Sprintf("%s,%d,%s", c.kind, c.n, c.peer) }

func parseHeldCase(spec string) (heldCase, error) {
	part := strings.SplitN(spec, ",", 3)
	if len(part) != 3 {
		return heldCase{}, fmt.Errorf("%q is not kind,n,peer", spec)
	}
	n, err := strconv.Atoi(part[1])
	if err != nil || n < 1 {
		return heldCase{}, fmt.Errorf("%q is no number of calls", part[1])
	}
	return heldCase{heldKind(part[0]), part[2], n}, nil
}

// measure runs the case in this process, which should do nothing else.
func (c heldCase) measure() (measure.Held, error) {
	p, err := peers.Find(c.peer)
	if err != nil {
		return measure.Held{}, err
	}
	switch c.kind {
	case waiting, heeding:
		return measure.Waiting(p, c.n, c.kind == heeding)
	case idle:
		return measure.Idle(c.n), nil
	}
	return measure.Held{}, fmt.Errorf("unknown kind %q", c.kind)
}

// measureInChild runs the case in a process of its own.
func (c heldCase) measureInChild() (measure.Held, error) {
	self, err := os.Executable()
	if err != nil {
		return measure.Held{}, err
	}
	cmd := exec.Command(self, "-child", c.String())
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return measure.Held{}, err
	}
	var h measure.Held
	err = json.Unmarshal(out, &h)
	return h, err
}
