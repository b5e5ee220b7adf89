package faasnats

import (
	"context"
	"fmt"
	"maps"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"
)

// format is the version of what the stream has, in its metadata:
//
//	0  no version: the records of 1
//	1  records alone
//	2  an object store beside the stream has what is large
//
// A release reads its own format, and brings an older one to it at Open. One that knows
// only an older format refuses the stream; a process of it that has the stream open does not
// notice, and must be stopped before.
const format = 2

const formatKey = "faas-format"

// upgrade brings a stream from one format to the next. It may be repeated: a process may die
// before the new format is written.
func upgrade(ctx context.Context, js jetstream.JetStream, s *settings, from int) (err error) {
	switch from {
	case 0: // the same records
	case 1:
		_, err = openObjects(ctx, js, s)
	}
	return err
}

// formatOf returns the format of a stream.
func formatOf(c *jetstream.StreamConfig) (int, error) {
	text := c.Metadata[formatKey]
	if text == "" {
		return 0, nil
	}
	has, err := strconv.Atoi(text)
	if err != nil || has < 0 || has > format {
		return 0, fmt.Errorf("faasnats: the stream %s has the format %q, and this release reads up to %d: open it with a later one", c.Name, text, format)
	}
	return has, nil
}

// migrate brings a stream to the format of this release.
func migrate(ctx context.Context, js jetstream.JetStream, c jetstream.StreamConfig, s *settings) error {
	has, err := formatOf(&c)
	if err != nil || has == format {
		return err
	}
	for from := has; from < format; from++ {
		if err := upgrade(ctx, js, s, from); err != nil {
			return fmt.Errorf("faasnats: bring the stream %s from format %d to %d: %w", c.Name, from, from+1, err)
		}
	}
	c.Metadata = maps.Clone(c.Metadata)
	if c.Metadata == nil {
		c.Metadata = map[string]string{}
	}
	c.Metadata[formatKey] = strconv.Itoa(format)
	if _, err := js.UpdateStream(ctx, c); err != nil {
		return fmt.Errorf("faasnats: write the format of the stream %s: %w", c.Name, err)
	}
	s.log.Info("faasnats: the stream has a new format", "stream", c.Name, "from", has, "to", format)
	return nil
}
