# No logic here: every target calls cargo and one script.
.PHONY: demo test check soak
demo:  ; @scripts/demo
test:  ; @scripts/test
check: ; @scripts/check
soak:  ; @scripts/soak
