package faasnats_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/inproc/faas/durable/faasnats"
)

// storeModel is a server's store, and a process that writes to it. Each step of a write and of a
// question is an action of its own, so that rapid puts them in any order.
type storeModel struct {
	room     faasnats.Room
	bytes    int64   // in the store
	sent     []int64 // writes that the server has not processed yet
	answered []int64 // writes that are stored, and whose acknowledgment has not come yet
	lost     []int64 // writes that have failed at the process, and that the server has not processed yet
	set      func(bytes int64)
	answer   int64
	come     bool // the server has answered, and the answer is under way
}

const storeModelMost = 1000

// pop takes an element out of a list. It skips the action if there is none.
func pop(t *rapid.T, from *[]int64) int64 {
	if len(*from) == 0 {
		t.SkipNow()
	}
	i := rapid.IntRange(0, len(*from)-1).Draw(t, "which")
	n := (*from)[i]
	*from = append((*from)[:i:i], (*from)[i+1:]...)
	return n
}

func (m *storeModel) Put(t *rapid.T) {
	n := rapid.Int64Range(1, 200).Draw(t, "bytes")
	if m.room.Take(n) {
		m.sent = append(m.sent, n)
	}
}

func (m *storeModel) Settle(t *rapid.T) {
	if n := rapid.Int64Range(1, 20).Draw(t, "bytes"); m.bytes < storeModelMost/2 {
		m.room.Begin(n)
		m.sent = append(m.sent, n)
	}
}

func (m *storeModel) Store(t *rapid.T) {
	n := pop(t, &m.sent)
	m.bytes += n
	m.answered = append(m.answered, n)
}

func (m *storeModel) Refuse(t *rapid.T) { m.room.Refused(pop(t, &m.sent)) }

func (m *storeModel) Acknowledge(t *rapid.T) { m.room.Stored(pop(t, &m.answered)) }

func (m *storeModel) LoseAcknowledgment(t *rapid.T) { m.room.Unsure(pop(t, &m.answered)) }

func (m *storeModel) GiveUp(t *rapid.T) {
	n := pop(t, &m.sent)
	m.room.Unsure(n)
	m.lost = append(m.lost, n)
}

func (m *storeModel) StoreLost(t *rapid.T) { m.bytes += pop(t, &m.lost) }

func (m *storeModel) Remove(t *rapid.T) {
	m.bytes -= rapid.Int64Range(0, m.bytes).Draw(t, "bytes")
}

// Ask begins a question. Before the server answers it, it processes what the process has sent and
// given up: see passed in room_ask.go.
func (m *storeModel) Ask(t *rapid.T) {
	if m.set != nil {
		t.SkipNow()
	}
	m.set = m.room.Ask()
	for _, n := range m.lost {
		m.bytes += n
	}
	m.lost = nil
}

func (m *storeModel) Answer(t *rapid.T) {
	if m.set == nil || m.come {
		t.SkipNow()
	}
	m.answer, m.come = m.bytes, true
}

func (m *storeModel) AnswerComes(t *rapid.T) {
	if !m.come {
		t.SkipNow()
	}
	m.set(m.answer)
	m.set, m.come = nil, false
}

func (m *storeModel) Check(t *rapid.T) {
	used, excess := m.room.Used()
	require.GreaterOrEqual(t, used, m.bytes, "the count must not be too low")
	require.GreaterOrEqual(t, excess, int64(0))
}

func sum(all []int64) (n int64) {
	for _, each := range all {
		n += each
	}
	return n
}

func TestTheCountOfTheStoreIsNeverTooLowWhateverTheOrderOfWritesAndAnswers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &storeModel{room: faasnats.NewRoom(storeModelMost)}
		t.Repeat(rapid.StateMachineActions(m))

		if m.set != nil {
			m.set(m.bytes)
			m.set = nil
		}
		m.Ask(t)
		m.set(m.bytes)
		used, _ := m.room.Used()
		require.LessOrEqual(t, used, m.bytes+sum(m.sent)+sum(m.answered), "a fresh answer leaves only what is under way in doubt")
	})
}
