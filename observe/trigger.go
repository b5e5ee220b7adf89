package observe

// Triggered is the calls of a [Series] that one kind of trigger started.
type Triggered struct {
	// Trigger is one of OpenTelemetry's values of faas.trigger: "datasource", "http", "other",
	// "pubsub" or "timer". Calls whose Origin has another one, or none, as those by Go code and
	// nested ones, are those of "other".
	Trigger  string
	Outcomes Outcomes
	Cold     uint64
	Init     Histogram // as in Series
	Run      Histogram
}

// trigger is a kind of trigger, as an index.
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

// of returns the part of a trigger. s.mu must be held.
func (s *series) of(t trigger) *Triggered {
	if s.triggers[t] == nil {
		s.triggers[t] = &Triggered{Trigger: t.String()}
	}
	return s.triggers[t]
}

// byTrigger returns copies of the parts. s.mu must be held.
func (s *series) byTrigger() (all []Triggered) {
	for _, t := range s.triggers {
		if t != nil {
			all = append(all, *t)
		}
	}
	return all
}

// take adds what is pending, with the histograms that were taken from it.
func (t *Triggered) take(p *pending, run, init *Histogram) {
	for i, n := range p.outcomes {
		t.Outcomes[i] += n
	}
	t.Cold += p.cold
	t.Run.Merge(run)
	t.Init.Merge(init)
}
