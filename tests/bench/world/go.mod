module drover.dev/world

go 1.22
