package faas

// JobState is the state of a job. The records that Put and Settle get are scheduled, ready,
// parked or settled. In the records that a queue returns, a leased job is running, and a
// scheduled or parked job whose NotBefore has passed is ready.
type JobState uint8 //nolint:recvcheck // encoding.TextUnmarshaler needs a pointer receiver

// The states. The last three are final: a job that has one of them is settled. Each job enters
// exactly one of the three, once.
const (
	JobScheduled JobState = iota // waits until NotBefore
	JobReady                     // can run as soon as it is leased and has a slot
	JobRunning                   // leased
	JobParked                    // waits for an event (see JobWait), at most until NotBefore
	JobSucceeded                 // a delivery ended OK
	JobDead                      // given up: its Condition says why
	JobCanceled                  // Job.Cancel was called
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

// IsSettled reports whether the state is final.
func (s JobState) IsSettled() bool { return s >= JobSucceeded && int(s) < jobStates }

// MarshalText returns the state's name.
func (s JobState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the text that MarshalText has written. For another text it returns an error
// that Is [ErrInput].
func (s *JobState) UnmarshalText(text []byte) error {
	for at := range JobState(jobStates) {
		if at.String() == string(text) {
			*s = at
			return nil
		}
	}
	return usageError("job state", "", ErrInput, "%.40q is no state of a job", text)
}

// JobCondition says why a job was settled. Success, RetriesExhausted, EventAgeExceeded and
// ZeroReservedConcurrency are the words of AWS Lambda. Later releases may add conditions.
type JobCondition string

// The conditions.
const (
	ConditionSuccess                 JobCondition = "Success"                 // a delivery ended OK
	ConditionRetriesExhausted        JobCondition = "RetriesExhausted"        // its last attempt failed
	ConditionEventAgeExceeded        JobCondition = "EventAgeExceeded"        // it would have run later than WithMaxAge or WithExpiry allows
	ConditionZeroReservedConcurrency JobCondition = "ZeroReservedConcurrency" // the function is switched off
	ConditionPermanent               JobCondition = "Permanent"               // the handler returned Permanent
	ConditionOutputInvalid           JobCondition = "OutputInvalid"           // the handler returned an output that can't be encoded
	ConditionDenied                  JobCondition = "Denied"                  // a gate refused it
	ConditionInvalid                 JobCondition = "Invalid"                 // its payload does not decode
	ConditionTooLarge                JobCondition = "TooLarge"                // its payload is larger than WithLimits allows
	ConditionNesting                 JobCondition = "Nesting"                 // jobs that send jobs went deeper than WithMaxDepth allows
	ConditionBudgetExceeded          JobCondition = "BudgetExceeded"          // the budget is spent, and WithDeadOnBudget is set
	ConditionHostCrashes             JobCondition = "HostCrashes"             // three processes died while they had it
	ConditionCanceled                JobCondition = "Canceled"                // Cancel was called
)

// JobWait is what a job waits for. Later releases may add values.
type JobWait string

// The values of JobWait.
const (
	WaitDue      JobWait = "due"      // its due time
	WaitBackoff  JobWait = "backoff"  // the time between two deliveries
	WaitKey      JobWait = "key"      // its order key, which another job holds
	WaitTurn     JobWait = "turn"     // its turn among the jobs that are ready, and a slot
	WaitBudget   JobWait = "budget"   // the next window of a budget that is spent
	WaitHandler  JobWait = "handler"  // the handler of its last attempt, which still runs
	WaitFunction JobWait = "function" // a host on which its function is registered
	WaitOff      JobWait = "off"      // its function to be switched on again
)
