package observe

// Triggered has the calls of a [Series] that one kind of trigger has started.
type Triggered struct {
	// Trigger is one of the values of OpenTelemetry's faas.trigger: "datasource", "http",
	// "other", "pubsub" or "timer". "other" also has the calls whose Origin has another trigger
	// or none, such as calls by Go code and nested calls.
	Trigger  string
	Outcomes Outcomes
	Cold     uint64
	Init     Histogram // as in Series
	Run      Histogram
}

// trigger is the index of a kind of trigger.
type trigger uint8

// The kinds, sorted by their names.
const (
	datasourceTrigger trigger = iota
	httpTrigger
	otherTrigger
	pubsubTrigger
	timerTrigger

	triggers = 5 // the number of kinds
)

// triggerOf returns the kind of the trigger of an Origin.
func triggerOf(name string) trigger {
	switch name {
	case "datasource":
		return datasourceTrigger
	case "http":
		return httpTrigger
	case "pubsub":
		return pubsubTrigger
	case "timer":
		return timerTrigger
	}
	return otherTrigger
}

func (t trigger) String() string {
	return [triggers]string{"datasource", "http", Other, "pubsub", "timer"}[t]
}

// of returns the counts of a trigger. s.mu must be held.
func (s *series) of(t trigger) *Triggered {
	if s.triggers[t] == nil {
		s.triggers[t] = &Triggered{Trigger: t.String()}
	}
	return s.triggers[t]
}

// byTrigger returns copies of the counts of all triggers. s.mu must be held.
func (s *series) byTrigger() (all []Triggered) {
	for _, t := range s.triggers {
		if t != nil {
			all = append(all, *t)
		}
	}
	return all
}

// take adds pending counts. run and init are the histograms that were taken from p.
func (t *Triggered) take(p *pending, run, init *Histogram) {
	for i, n := range p.outcomes {
		t.Outcomes[i] += n
	}
	t.Cold += p.cold
	t.Run.Merge(run)
	t.Init.Merge(init)
}
