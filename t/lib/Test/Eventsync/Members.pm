# SPDX-License-Identifier: BSD-2-Clause

package Test::Eventsync::Members;

# The table of an endpoint's members (shared/registry/endpoint_members.c) for
# tests of the documentation, as the program t/helper/members.c prints it.

use warnings;
use strict;

use Exporter 'import';

our @EXPORT_OK = qw(endpoint_members);

my @COLUMNS = qw(name type access required min max preset option usage);

# A list of hashes, in the order of the table.
sub endpoint_members {
    my $program = ($ENV{BUILD} // 'build') . '/helper/members';
    my @lines = `$program`;
    die "$program failed\n" if $? || !@lines;

    chomp @lines;
    return map { my %row; @row{@COLUMNS} = split /\t/; \%row } @lines;
}

1;
