package faascron

import "time"

// Tick is the input of a function that a timer starts.
type Tick struct {
	Timer     string    `json:"timer"`            // the timer's name
	Scheduled time.Time `json:"scheduled"`        // for when it was scheduled, in the timer's zone
	Actual    time.Time `json:"actual"`           // when it was sent
	Missed    int       `json:"missed,omitempty"` // how many scheduled times before it were left out since the last tick; at most 1,000 are counted
	Manual    bool      `json:"manual,omitempty"` // by Timer.Run; Scheduled is Actual
}

// Missed is what becomes of the scheduled times that were missed: the process did not run, the
// machine was suspended, the clock was set forward. See [CatchUp].
type Missed int

// What becomes of them; All is for more than one.
const (
	None Missed = iota // they are left out
	Last               // the last one is fired
)

// All has the last n of them fired, n ≥ 1.
func All(n int) Missed { return Missed(n) }

// Overlapping is what becomes of a firing whose timer has a job that has not ended, of an earlier firing.
// See [Overlap].
type Overlapping uint8

// What becomes of it.
const (
	Allow   Overlapping = iota // it is sent all the same
	Forbid                     // it is left out, and counted in the next Tick.Missed
	Replace                    // the earlier jobs are canceled
)
