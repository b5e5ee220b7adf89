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
	// objectGrace is how old an object is at least before it is swept. A write that needs an
	// object is given up after half of it, so that no record names one that is gone.
	objectGrace = time.Hour
	// sweepEvery is how often one process of all looks for objects that no record names.
	sweepEvery = 10 * time.Minute

	ownerSeparator = "+"
)

// sweep removes the objects that no record names. They are left by a process that has died
// before it wrote the record, and by records that have expired. It finds an object by its
// chunks, because one that was never written to the end has no description. isNamed looks up
// whether the records of an owner name an object.
//
// The object of a job that follows from another has two owners: first the other job, whose
// record names it until the following job is put, and then that one. They are looked up in
// this order. In the reverse order neither might be seen to name the object, if the job was
// put between the two look-ups.
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

// sweepOne removes an object that no record of its owners names.
func (s *objectStore) sweepOne(ctx context.Context, name string, isNamed func(ctx context.Context, owner, name string) (bool, error)) error {
	owners, _, _ := strings.Cut(name, "/")
	for owner := range strings.SplitSeq(owners, ownerSeparator) {
		if named, err := isNamed(ctx, owner, name); named || err != nil {
			return err
		}
	}
	return s.removeOrphan(ctx, name)
}

// removeOrphan removes an object if it is old enough.
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

// hold keeps objects that no record may name any more, for a backup.
func (s *objectStore) hold() { s.held.Store(time.Now().Add(holdTime).UnixNano()) }

func (s *objectStore) isHolding() bool { return time.Now().UnixNano() < s.held.Load() }
