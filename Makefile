# Targets for people; each is a line over scripts/ or ./cortex. `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help prepare-offline load-offline verify-offline offline-status quick-start up down restart bootstrap-default \
	status health logs build check test test-clients test-guide test-offline test-faults

help:
	@printf '%s\n' \
	  'Cortex: language models on your own machines, without the internet' '' \
	  'Start here' \
	  '  make quick-start        start Cortex, make the first administrator, print the addresses' \
	  '  make test               run the tests that this machine can run' '' \
	  'Across the gap' \
	  '  make prepare-offline    connected machine: make the package cortex-offline-images/' \
	  '  make load-offline       inside: check the package and load its images into Docker' \
	  '  make verify-offline     inside: is this machine ready? (exit code 0 only if it is)' \
	  '  make offline-status     offline mode, images and package in a few lines' '' \
	  'Running' \
	  '  make up                 start' \
	  '  make down               stop everything, engines as well' \
	  '  make restart            start Cortex again with the settings of backend/.env; engines go on' \
	  '  make bootstrap-default  make the first administrator; its password is shown once' \
	  '  make status             services, health and models' \
	  '  make health             exit code 0 only if all is well' \
	  '  make logs               the last 200 lines (TAIL=1000, FOLLOW=1)' '' \
	  'Working on Cortex' \
	  '  make build              compile server, command line and UI' \
	  '  make check              types, lint, import rules, unused code' \
	  '  make test-clients       the official OpenAI, Anthropic, Vercel AI and LangChain clients against the gateway' \
	  '  make test-offline       the package: damage, volumes, interruptions, Engines (LONG=1: the full counts)' \
	  '  make test-faults        processes killed, engines hung, databases gone under load (LONG=1: the full counts)' \
	  '  make test-guide         the whole offline guide, across a real gap (needs root; tests/ground)'

prepare-offline:
	@sh scripts/prepare-offline-deployment.sh
load-offline:
	@sh scripts/load-offline-deployment.sh
verify-offline:
	@sh scripts/verify-offline-images.sh
offline-status:
	@./cortex offline status

quick-start up down restart status health logs:
	@sh scripts/stack.sh $@
bootstrap-default:
	@sh scripts/stack.sh bootstrap

build:
	@npm run --silent build
check:
	@npm run --silent check
test:
	@sh scripts/test.sh
test-clients:
	@npm run --silent test:clients
test-guide:
	@npm run --silent test:guide
test-faults:
	@npm run --silent test:faults
test-offline:
	@npm run --silent test:offline
