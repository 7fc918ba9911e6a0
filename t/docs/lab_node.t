#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# docs/lab.md with a learner who writes JavaScript: first the program that is
# wrong in the step, then the one of the page.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync;
use Test::Eventsync::Lab qw(each_step);

my ($node) = (`node --version 2>/dev/null` // '') =~ /^v(\d+)/;
plan(skip_all => 'Node.js 20 is not installed') if ($node // 0) < 20;

each_step(Test::Eventsync->new, 'js');

done_testing();
