package memqueue

import (
	"container/heap"
	"slices"
)

// uniqueKey is a key that a function and a tenant accept for one job at a time.
type uniqueKey struct{ function, tenant, key string }

// uniqueKeys are the keys that are taken, and the jobs that took them.
type uniqueKeys struct {
	holders map[uniqueKey]ID
	ends    keyEnds // when each of them becomes free, as a heap
}

func (u *uniqueKeys) len() int { return len(u.holders) }

func (u *uniqueKeys) holder(k uniqueKey) (ID, bool) {
	id, ok := u.holders[k]
	return id, ok
}

func (u *uniqueKeys) take(k uniqueKey, id ID, until int64) {
	if u.holders == nil {
		u.holders = map[uniqueKey]ID{}
	}
	u.holders[k] = id
	heap.Push(&u.ends, keyEnd{k, until})
}

// expire frees the keys whose time has passed. Each Put calls it and takes at most one key, so
// that a call frees at most one key on average.
func (u *uniqueKeys) expire(now int64) {
	for len(u.ends) > 0 && u.ends[0].until <= now {
		end, _ := heap.Pop(&u.ends).(keyEnd)
		delete(u.holders, end.key)
	}
}

// free frees the keys of the jobs for which lost returns true.
func (u *uniqueKeys) free(lost func(ID) bool) {
	u.ends = slices.DeleteFunc(u.ends, func(end keyEnd) bool {
		free := lost(u.holders[end.key])
		if free {
			delete(u.holders, end.key)
		}
		return free
	})
	heap.Init(&u.ends)
}

// keyEnd says when a key becomes free.
type keyEnd struct {
	key   uniqueKey
	until int64
}

// keyEnds implements [heap.Interface].
type keyEnds []keyEnd //nolint:recvcheck // as container/heap asks

func (e keyEnds) Len() int           { return len(e) }
func (e keyEnds) Less(i, j int) bool { return e[i].until < e[j].until }
func (e keyEnds) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }

func (e *keyEnds) Push(x any) {
	end, _ := x.(keyEnd)
	*e = append(*e, end)
}

func (e *keyEnds) Pop() any {
	last := len(*e) - 1
	end := (*e)[last]
	clear((*e)[last:])
	*e = (*e)[:last]
	return end
}
