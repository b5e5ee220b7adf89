package faastest

import (
	"testing"

	"github.com/inproc/faas"
)

// ReportTime is the time that New leaves before a test's deadline.
const ReportTime = reportTime

// The checks of TestMeter, TestGate and TestScaler, for tests that run them with a
// testing.TB that may fail.

func MeterCheck(tb testing.TB, m faas.Meter, recorded func() []faas.Execution) meterCheck {
	tb.Helper()
	return meterCheck{TB: tb, m: m, recorded: recorded}
}

func (c meterCheck) EveryCallOnce() { c.everyCallOnce() }
func (c meterCheck) Unusual()       { c.unusual() }
func (c meterCheck) LeavesLabels()  { c.labels() }
func (c meterCheck) NoWait()        { c.noWait() }
func (c meterCheck) Overruns()      { c.overruns() }
func (c meterCheck) Batches()       { c.batches() }
func (c meterCheck) Reservations()  { c.reservations() }

func GateCheck(tb testing.TB, g faas.Gate, held func() int) gateCheck {
	tb.Helper()
	return gateCheck{TB: tb, g: g, held: held}
}

func (c gateCheck) Balance()        { c.balance() }
func (c gateCheck) Refused()        { c.refused() }
func (c gateCheck) CallersContext() { c.callersContext() }
func (c gateCheck) IsDone()         { c.done() }
func (c gateCheck) Record()         { c.record() }

type ScalerChecks = scalerCheck

func ScalerCheck(tb testing.TB, newScaler func() faas.Scaler) scalerCheck {
	tb.Helper()
	return scalerCheck{TB: tb, newScaler: newScaler}
}

func (c scalerCheck) Pure()         { c.pure() }
func (c scalerCheck) UpTo()         { c.upto() }
func (c scalerCheck) LeavesStates() { c.leavesStates() }
func (c scalerCheck) Concurrent()   { c.concurrent() }
func (c scalerCheck) Extremes()     { c.extremes() }
func (c scalerCheck) NoWait()       { c.noWait() }
func (c scalerCheck) Starts()       { c.starts() }
func (c scalerCheck) Windows()      { c.windows() }
