package admin

// MaxStreams is how many streams a handler serves at once.
const MaxStreams = maxStreams
