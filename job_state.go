package faas

// JobState is what a job does. Put and Settle are given records that are scheduled,
// ready, parked or settled. In what a queue returns, a leased job is running, and a
// scheduled or parked one whose NotBefore has passed is ready.
type JobState uint8 //nolint:recvcheck // as encoding asks: to read a text changes the value

// The states. The last three are terminal: a job enters exactly one of them, once.
const (
	JobScheduled JobState = iota // waits until NotBefore
	JobReady                     // could run now
	JobRunning                   // leased
	JobParked                    // waits for something to happen, at most until NotBefore
	JobSucceeded                 // a delivery ended OK
	JobDead                      // it was given up: its Condition says why
	JobCanceled                  // it was canceled
)

const jobStates = 7 // the number of states

// String returns the state's name without its prefix, such as "Ready".
func (s JobState) String() string {
	names := [...]string{"Scheduled", "Ready", "Running", "Parked", "Succeeded", "Dead", "Canceled"}
	if int(s) < jobStates {
		return names[s]
	}
	return "JobState(?)"
}

// IsSettled reports whether the state is terminal.
func (s JobState) IsSettled() bool { return s >= JobSucceeded && int(s) < jobStates }

// MarshalText returns the state's name.
func (s JobState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText has written. Another text is an error that Is
// [ErrInput].
func (s *JobState) UnmarshalText(text []byte) error {
	for at := range JobState(jobStates) {
		if at.String() == string(text) {
			*s = at
			return nil
		}
	}
	return usageError("job state", "", ErrInput, "%.40q is no state of a job", text)
}

// JobCondition says why a job was settled. Success, RetriesExhausted, EventAgeExceeded
// and ZeroReservedConcurrency are AWS Lambda's words; the set is open.
type JobCondition string

// The conditions.
const (
	ConditionSuccess                 JobCondition = "Success"                 // a delivery ended OK
	ConditionRetriesExhausted        JobCondition = "RetriesExhausted"        // its last attempt failed
	ConditionEventAgeExceeded        JobCondition = "EventAgeExceeded"        // it would have run later than WithMaxAge or WithExpiry allow
	ConditionZeroReservedConcurrency JobCondition = "ZeroReservedConcurrency" // the function is switched off
	ConditionPermanent               JobCondition = "Permanent"               // the handler returned Permanent
	ConditionOutputInvalid           JobCondition = "OutputInvalid"           // the handler was done, and its output can't be encoded
	ConditionDenied                  JobCondition = "Denied"                  // a gate refused it
	ConditionInvalid                 JobCondition = "Invalid"                 // its payload does not decode
	ConditionTooLarge                JobCondition = "TooLarge"                // its payload is larger than WithLimits allows
	ConditionNesting                 JobCondition = "Nesting"                 // jobs that send jobs went too deep
	ConditionBudgetExceeded          JobCondition = "BudgetExceeded"          // the budget is spent, and WithDeadOnBudget is set
	ConditionHostCrashes             JobCondition = "HostCrashes"             // three processes died while they ran it
	ConditionCanceled                JobCondition = "Canceled"                // Cancel was called
)

// JobWait is what a job waits for. The set is open.
type JobWait string

// What jobs wait for.
const (
	WaitDue      JobWait = "due"      // it was sent to run later
	WaitBackoff  JobWait = "backoff"  // the time after a delivery before the next
	WaitKey      JobWait = "key"      // another job has its order key
	WaitTurn     JobWait = "turn"     // its turn, and a slot
	WaitBudget   JobWait = "budget"   // the window of a budget that is spent
	WaitHandler  JobWait = "handler"  // the handler of its last attempt, which still runs
	WaitFunction JobWait = "function" // a host that has its function
	WaitOff      JobWait = "off"      // its function is switched off
)
