#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# What fuzzing has kept (make fuzz finds it), replayed to each target.

use warnings;
use strict;

use Test::More;

my $build = $ENV{BUILD} || 'build';

for my $source (glob 't/fuzz/*.c') {
    my ($name) = $source =~ m{/([^/]+)\.c$};
    next if $name eq 'replay';

    my @corpus = glob "t/fuzz/corpus/$name/*";
    ok(scalar @corpus, "$name: there is a corpus");
    my $out = `$build/fuzz/$name t/fuzz/corpus/$name 2>&1`;
    is($?, 0, "$name: every promise is kept");
    is($out, scalar(@corpus) . " inputs\n", "$name: of every input");
}

done_testing();
