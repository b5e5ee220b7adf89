package faasnats

import (
	"context"
	"encoding/json"
	"maps"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/inproc/faas"
)

// peers knows which other processes have the queue open, and asks them which jobs they run:
// no record says that, since a lease is a delivery. All of it is plain messages. Alone, a
// process asks nothing.
type peers struct {
	conn   *nats.Conn
	prefix string // of the subjects
	self   string
	silent time.Duration // after which a process is not there any more

	mu   sync.Mutex // guards seen
	seen map[string]time.Time
}

// peerAnswer is how long the other processes have to answer. A job whose process does not answer
// in time is shown as ready, although it runs.
const peerAnswer = 500 * time.Millisecond

// runningJob is what a process tells of a job that it runs.
type runningJob struct {
	Revision uint64 `json:"revision"`
	Done     int64  `json:"done"`
	Total    int64  `json:"total"`
	Note     string `json:"note"`
}

func (r runningJob) progress() faas.JobProgress {
	return faas.JobProgress{Done: r.Done, Total: r.Total, Note: r.Note}
}

// peerQuestion asks which of the jobs a process runs.
type peerQuestion struct {
	From string      `json:"from"`
	Jobs []uuid.UUID `json:"jobs"`
}

func newPeers(conn *nats.Conn, prefix, self string, silent time.Duration) *peers {
	return &peers{conn: conn, prefix: prefix, self: self, silent: silent, seen: map[string]time.Time{}}
}

// listen subscribes to what other processes tell and ask. answer returns those of the jobs
// that this process runs.
func (p *peers) listen(answer func(jobs []uuid.UUID) map[uuid.UUID]runningJob) ([]*nats.Subscription, error) {
	here, err := p.conn.Subscribe(p.prefix+".here", func(msg *nats.Msg) { p.heard(msg) })
	if err != nil {
		return nil, err
	}
	asked, err := p.conn.Subscribe(p.prefix+".ask", func(msg *nats.Msg) {
		var question peerQuestion
		if json.Unmarshal(msg.Data, &question) != nil || question.From == p.self {
			return
		}
		if text, err := json.Marshal(answer(question.Jobs)); err == nil {
			_ = msg.Respond(text) // lost: the job shows as ready
		}
	})
	if err == nil {
		p.tell("new")
	}
	return []*nats.Subscription{here, asked}, err
}

// tell says that this process is there: "here", "new", which the others answer, or "gone".
func (p *peers) tell(word string) {
	msg := &nats.Msg{Subject: p.prefix + ".here", Data: []byte(p.self), Header: nats.Header{"Word": {word}}}
	_ = p.conn.PublishMsg(msg) // lost: the next is soon
}

// heard notes that a process is there.
func (p *peers) heard(msg *nats.Msg) {
	name, word := string(msg.Data), msg.Header.Get("Word")
	if name == p.self {
		return
	}
	p.mu.Lock()
	if word == "gone" {
		delete(p.seen, name)
	} else {
		p.seen[name] = time.Now()
	}
	p.mu.Unlock()
	if word == "new" {
		p.tell("here")
	}
}

// count returns how many other processes are there.
func (p *peers) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.seen, func(_ string, at time.Time) bool { return time.Since(at) > p.silent })
	return len(p.seen)
}

// running returns which of the jobs other processes run.
func (p *peers) running(ctx context.Context, jobs []uuid.UUID) map[uuid.UUID]runningJob {
	others := p.count()
	if others == 0 || len(jobs) == 0 {
		return nil
	}
	question, err := json.Marshal(peerQuestion{From: p.self, Jobs: jobs})
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, peerAnswer)
	defer cancel()
	return p.ask(ctx, question, others)
}

// ask puts a question, and reads up to n answers.
func (p *peers) ask(ctx context.Context, question []byte, n int) map[uuid.UUID]runningJob {
	inbox := p.conn.NewInbox()
	sub, err := p.conn.SubscribeSync(inbox)
	if err != nil {
		return nil
	}
	defer func() { _ = sub.Unsubscribe() }() // the connection may be gone
	if err := p.conn.PublishRequest(p.prefix+".ask", inbox, question); err != nil {
		return nil
	}
	all := map[uuid.UUID]runningJob{}
	for range n {
		msg, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			break
		}
		var some map[uuid.UUID]runningJob
		if json.Unmarshal(msg.Data, &some) == nil {
			maps.Copy(all, some)
		}
	}
	return all
}
