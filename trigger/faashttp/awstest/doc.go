// Package awstest calls functions with the AWS SDK for Go. It is a module of its own
// so that users of faas do not get the SDK as a dependency. It contains only tests.
package awstest
