package faascron

import "time"

// Tick is the input of a function that a timer starts.
type Tick struct {
	Timer     string    `json:"timer"`            // the timer's name
	Scheduled time.Time `json:"scheduled"`        // the scheduled time, in the timer's zone
	Actual    time.Time `json:"actual"`           // when the job was sent
	Missed    int       `json:"missed,omitempty"` // scheduled times that were left out since the last tick, at most 1,000
	Manual    bool      `json:"manual,omitempty"` // sent by Timer.Run, with Scheduled equal to Actual
}

// Missed says what happens to scheduled times that were missed because the process did not run,
// the machine was suspended, or the clock was set forward. See [CatchUp].
type Missed int

// What happens to missed times. With [All], several of them are fired.
const (
	None Missed = iota // they are left out
	Last               // the last one is fired
)

// All fires the last n missed times. n is at least 1.
func All(n int) Missed { return Missed(n) }

// Overlapping says what happens to a firing while a job of an earlier firing of the timer has
// not ended. See [Overlap].
type Overlapping uint8

// What happens to such a firing.
const (
	Allow   Overlapping = iota // it is sent all the same
	Forbid                     // it is left out, and counts in the Missed of the next Tick
	Replace                    // it is sent after the earlier jobs were canceled
)
