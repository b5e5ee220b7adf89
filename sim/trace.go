package sim

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"
)

// TraceError is the error of one line of a trace.
type TraceError struct {
	Line int // from 1
	Err  error
}

// Error names the line.
func (e *TraceError) Error() string { return fmt.Sprintf("sim: trace, line %d: %v", e.Line, e.Err) }

// Unwrap returns Err.
func (e *TraceError) Unwrap() error { return e.Err }

// ErrTrace is wrapped by a [TraceError] of a line that is valid CSV but no valid call.
var ErrTrace = errors.New("bad call")

// ReadTrace reads calls as CSV, one call a line, in any order: the arrival in seconds
// from the beginning, the function's name, the duration in seconds. A first line that
// begins with "arrival" is a heading. The workload's ColdStart and Length are zero; set
// them before [Run]. An error is a [*TraceError], or that of r.
func ReadTrace(r io.Reader) (Workload, error) {
	in := csv.NewReader(r)
	in.FieldsPerRecord = 3
	in.ReuseRecord = true
	in.TrimLeadingSpace = true
	var w Workload
	for first := true; ; first = false {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			return w, nil
		}
		if bad, ok := errors.AsType[*csv.ParseError](err); ok {
			if errors.Is(bad, csv.ErrFieldCount) {
				bad.Err = fmt.Errorf("%w: it has %d fields; it has to have 3: arrival, function, duration", ErrTrace, len(row))
			}
			return Workload{}, &TraceError{Line: bad.Line, Err: bad.Err}
		} else if err != nil {
			return Workload{}, err
		}
		line, _ := in.FieldPos(0)
		if first && row[0] == "arrival" {
			continue
		}
		c, err := parseCall(row)
		if err != nil {
			return Workload{}, &TraceError{Line: line, Err: err}
		}
		w.Calls = append(w.Calls, c)
	}
}

// parseCall returns the call of one line. It keeps no part of row, which the reader reuses
// for the next line; the strings in row are not reused.
func parseCall(row []string) (c Call, err error) {
	if c.At, err = parseSeconds("arrival", row[0]); err != nil {
		return c, err
	}
	if c.Function = row[1]; c.Function == "" {
		return c, fmt.Errorf("%w: the function has no name", ErrTrace)
	}
	c.Duration, err = parseSeconds("duration", row[2])
	return c, err
}

// parseSeconds returns a time of the trace. The condition is !(f >= 0), and not f < 0, so
// that it also refuses NaN, which ParseFloat accepts. The value is rounded, and not cut
// off: as float64s, 8.2 × 1e9 is a little less than 8,200,000,000.
func parseSeconds(what, s string) (time.Duration, error) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f >= 0) || f > longest.Seconds() {
		return 0, fmt.Errorf("%w: the %s is %q; it has to be seconds, from 0 to %.0f", ErrTrace, what, s, longest.Seconds())
	}
	return time.Duration(math.Round(f * float64(time.Second))), nil
}

// WriteTrace writes the calls in the format of [ReadTrace], exact to the nanosecond for
// times up to 48 days. It returns the errors of to.
func (w Workload) WriteTrace(to io.Writer) error {
	out := csv.NewWriter(to)
	if err := out.Write([]string{"arrival", "function", "duration"}); err != nil {
		return err
	}
	for _, c := range w.Calls {
		if err := out.Write([]string{seconds(c.At), c.Function, seconds(c.Duration)}); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// seconds is the reverse of parseSeconds. Precision -1 gives the fewest digits that are
// read back as the same float64. Beyond 2^22 s, a float64 is too coarse for nanoseconds.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }
