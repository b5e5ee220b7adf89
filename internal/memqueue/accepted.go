package memqueue

import (
	"cmp"
	"slices"
)

// acceptance is the acceptance of one job.
type acceptance struct {
	seq  uint64
	id   ID
	gone bool // the job is forgotten or lost
}

// accepted has the acceptances of a function's jobs, in the order of seq. A job that is gone stays
// in it until half of the jobs are gone, so that a removal costs little on average. It has IDs and
// no nodes, since most settled jobs have no node (see shelf).
type accepted struct {
	list []acceptance
	head int // jobs before this index are gone
	dead int // how many jobs from head on are gone
}

func (a *accepted) add(seq uint64, id *ID) { a.list = append(a.list, acceptance{seq: seq, id: *id}) }

// lose marks a job as gone. It drops gone jobs at the head, and all gone jobs once they are half.
func (a *accepted) lose(seq uint64) {
	at := a.head
	if a.list[at].seq != seq { // most jobs become gone in the order of their acceptance
		at += a.search(seq)
	}
	a.list[at].gone = true
	a.dead++
	for a.head < len(a.list) && a.list[a.head].gone {
		a.head++
		a.dead--
	}
	if live := a.live(); 2*a.dead >= len(live) && a.dead > 0 {
		live = slices.DeleteFunc(live, func(acc acceptance) bool { return acc.gone })
		a.list, a.dead = a.list[:a.head+len(live)], 0
	}
	if 2*a.head >= len(a.list) { // each job is moved once on average
		n := copy(a.list, a.live())
		a.list, a.head = a.list[:n], 0
	}
}

// live returns the jobs from head on; fewer than half of them are gone.
func (a *accepted) live() []acceptance { return a.list[a.head:] }

// after returns the jobs whose seq is above the given one.
func (a *accepted) after(seq uint64) []acceptance { return a.live()[a.search(seq+1):] }

// search returns the index in live of the first job whose seq is not below the given one.
func (a *accepted) search(seq uint64) int {
	at, _ := slices.BinarySearchFunc(a.live(), seq, func(acc acceptance, seq uint64) int { return cmp.Compare(acc.seq, seq) })
	return at
}
