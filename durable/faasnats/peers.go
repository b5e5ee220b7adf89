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

// peers keeps track of the other processes that have the queue open, and asks them which jobs
// they run. The stream does not show which jobs run, since a lease is a delivery and no write.
// All messages are plain NATS messages, which may be lost. A process that is alone asks nothing.
type peers struct {
	conn   *nats.Conn
	prefix string // of the subjects of all messages
	self   string
	silent time.Duration // a process that has sent nothing for so long is taken for gone

	mu   sync.Mutex // guards seen, the times of the last message by process
	seen map[string]time.Time
}

// peerAnswer is how long the other processes have to answer. A job whose process does not answer
// in time is shown as ready, although it runs.
const peerAnswer = 500 * time.Millisecond

// runningJob is what a process answers about a job that it runs.
type runningJob struct {
	Revision uint64 `json:"revision"`
	Done     int64  `json:"done"`
	Total    int64  `json:"total"`
	Note     string `json:"note"`
}

func (r runningJob) progress() faas.JobProgress {
	return faas.JobProgress{Done: r.Done, Total: r.Total, Note: r.Note}
}

// peerQuestion asks a process which of the jobs it runs.
type peerQuestion struct {
	From string      `json:"from"`
	Jobs []uuid.UUID `json:"jobs"`
}

func newPeers(conn *nats.Conn, prefix, self string, silent time.Duration) *peers {
	return &peers{conn: conn, prefix: prefix, self: self, silent: silent, seen: map[string]time.Time{}}
}

// listen subscribes to the messages and questions of other processes. The func answer returns
// those of the jobs that this process runs.
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
			_ = msg.Respond(text) // if this is lost, the job shows as ready
		}
	})
	if err == nil {
		p.tell("new")
	}
	return []*nats.Subscription{here, asked}, err
}

// tell sends one of these words to the other processes: "here", at each tick of Queue.keep; "new"
// at the start, which they answer with "here"; or "gone", when the queue is closed.
func (p *peers) tell(word string) {
	msg := &nats.Msg{Subject: p.prefix + ".here", Data: []byte(p.self), Header: nats.Header{"Word": {word}}}
	_ = p.conn.PublishMsg(msg) // if this is lost, the next beat follows soon
}

// heard handles a message that another process has sent by tell.
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

// count returns how many other processes have the queue open.
func (p *peers) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.seen, func(_ string, at time.Time) bool { return time.Since(at) > p.silent })
	return len(p.seen)
}

// running asks the other processes which of the jobs they run, and returns those.
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

// ask sends a question, and reads up to n answers.
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
