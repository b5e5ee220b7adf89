package faasnats

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// objectGrace is the age below which an object is not swept. A write that needs an object is
	// given up after half of that time, so that no record ever names a swept object.
	objectGrace = time.Hour
	// sweepEvery is the time between two sweeps for objects that no record names. In each such
	// time only one of the processes that share the store sweeps.
	sweepEvery = 10 * time.Minute

	ownerSeparator = "+"
)

// sweep removes the objects that no record names: those of a process that died before it wrote
// the record, and those of records that have expired. It finds an object by its chunks, because
// an object that was not written to its end has no description. isNamed looks up whether the
// record of an owner names an object.
//
// The object of a job that follows from another has two owners: first the other job, whose
// record names it until the following job is put, and then the following job. isNamed is called
// in this order. In the reverse order, both calls could return false if the job was put between
// them.
func (s *objectStore) sweep(ctx context.Context, isNamed func(ctx context.Context, owner, name string) (bool, error)) error {
	prefix := s.chunks("")
	info, err := s.stream.Info(ctx, jetstream.WithSubjectFilter(prefix+"*"))
	if err != nil {
		return err
	}
	for subject := range info.State.Subjects {
		name, err := base64.URLEncoding.DecodeString(strings.TrimPrefix(subject, prefix))
		if err != nil {
			continue // it is not ours
		}
		if err := s.sweepOne(ctx, string(name), isNamed); err != nil {
			return err
		}
	}
	return nil
}

// sweepOne removes an object if the record of none of its owners names it.
func (s *objectStore) sweepOne(ctx context.Context, name string, isNamed func(ctx context.Context, owner, name string) (bool, error)) error {
	owners, _, _ := strings.Cut(name, "/")
	for owner := range strings.SplitSeq(owners, ownerSeparator) {
		if named, err := isNamed(ctx, owner, name); named || err != nil {
			return err
		}
	}
	return s.removeOrphan(ctx, name)
}

// removeOrphan removes an object if it is older than objectGrace and no backup is under way.
func (s *objectStore) removeOrphan(ctx context.Context, name string) error {
	last, err := s.stream.GetLastMsgForSubject(ctx, s.chunks(name))
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return nil
	case err != nil || time.Since(last.Time) < objectGrace || s.isHolding():
		return err
	}
	return s.removeObject(ctx, name)
}

// hold makes objects stay for a while because a backup is under way, even if no record names
// them.
func (s *objectStore) hold() { s.held.Store(time.Now().Add(holdTime).UnixNano()) }

func (s *objectStore) isHolding() bool { return time.Now().UnixNano() < s.held.Load() }
