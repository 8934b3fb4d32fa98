package services

import "sightline/internal/services/markdown"

// Markdown renders what a model wrote; RecordingLink is a link in it. Both are
// the renderer's own.
type (
	Markdown      = markdown.Renderer
	RecordingLink = markdown.RecordingLink
)
